export declare const workerPath: string;
