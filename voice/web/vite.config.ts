import { fileURLToPath } from "node:url";

import { defineConfig, type Plugin } from "vite";

/** Takes addresses out of the packages' error messages and descriptions, so that the bundle names no foreign host at all. */
function dropVendorAddresses(): Plugin {
  return {
    name: "drop-vendor-addresses",
    transform(code, id) {
      if (!id.includes("node_modules")) return null;
      return { code: code.replace(/(?:git\+)?https?:\/\/github\.com\/[\w./#-]*/g, ""), map: null };
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [dropVendorAddresses()],
  resolve: {
    alias: {
      // The transports import it for a media manager that fetches a script from elsewhere; ours replaces it.
      "@daily-co/daily-js": fileURLToPath(new URL("src/media/no_daily.ts", import.meta.url)),
    },
  },
  build: {
    target: "es2022",
    // A file inlined as a data: address would be refused by the page's own content policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
