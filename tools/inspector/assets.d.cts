export declare function readAssets(): Map<string, { readonly type: string; readonly text: string }>;
