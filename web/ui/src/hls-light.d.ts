// The light build of hls.js (no audio renditions, subtitles or DRM) has the same types.
declare module "hls.js/light" {
  export * from "hls.js";
  export { default } from "hls.js";
}
