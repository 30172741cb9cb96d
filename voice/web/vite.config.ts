import { fileURLToPath } from "node:url";

import { defineConfig, type Plugin } from "vite";

/** Empties the package description that client-js carries along: only its name and version are read, its addresses never. */
function dropPackageAddresses(): Plugin {
  return {
    name: "drop-package-addresses",
    transform(code, id) {
      if (!id.includes("@pipecat-ai/client-js")) return null;
      return code.replace(/(\\"repository\\":\{)[^}]*(\})/, "$1$2");
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [dropPackageAddresses()],
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
