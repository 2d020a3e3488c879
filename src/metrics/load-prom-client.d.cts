/** The module prom-client, or why it could not be loaded. */
export declare function load(): object;
