// Where the server is: the dashboard's own pages lie directly below its address, and all addresses that they use are relative.

/** Such as `https://calls.example.com` or `https://example.com/tether`. */
export const serverAddress = () => new URL(".", document.baseURI).href.slice(0, -1);
