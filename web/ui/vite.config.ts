import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

// DETECTD points the development server at a running daemon.
const daemon = process.env.DETECTD ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "/",
  plugins: [svelte()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // Nothing is inlined as a data: URL: fonts and scripts come from 'self' only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: {
    host: "127.0.0.1",
    proxy: {
      "/api": { target: daemon, changeOrigin: true },
      "/readyz": { target: daemon, changeOrigin: true },
      "/metrics": { target: daemon, changeOrigin: true },
    },
  },
  test: { include: ["test/**/*.test.ts"] },
});
