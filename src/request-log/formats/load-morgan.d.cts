export declare function load(): unknown;
