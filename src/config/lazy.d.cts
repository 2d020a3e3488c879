export declare function morgan(): unknown;
export declare function lruCache(): unknown;
