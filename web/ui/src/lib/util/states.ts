// The states of a camera in words, and what to do about them.
import type { State, Status } from "../api/types";

export type Tone = "ok" | "busy" | "bad" | "off";

interface Words {
  tone: Tone;
  title: string;
  advice: string;
}

export const STATES: Record<State, Words> = {
  running: { tone: "ok", title: "Running", advice: "" },
  connecting: { tone: "busy", title: "Connecting", advice: "The first picture usually comes within ten seconds." },
  disabled: { tone: "off", title: "Switched off", advice: "Edit the camera and switch it on to see it again." },
  ended: { tone: "off", title: "File played to its end", advice: "Edit the camera and switch on “play again and again” to repeat it." },
  bad_url: { tone: "bad", title: "Address cannot be used", advice: "Edit the camera and correct its address." },
  refused: { tone: "bad", title: "Connection refused", advice: "Check that the camera is on, and its address and port." },
  timeout: { tone: "bad", title: "No answer", advice: "Check the camera’s power and network, and its address." },
  auth_failed: { tone: "bad", title: "Wrong user or password", advice: "Edit the camera and enter the user and password it expects." },
  not_found: { tone: "bad", title: "Not found", advice: "The path or file is unknown. Edit the camera and correct its address." },
  no_video: { tone: "bad", title: "No video in the stream", advice: "Choose another stream of this camera in its address." },
  unsupported_codec: { tone: "bad", title: "Video format not supported", advice: "Set the camera to H.264, H.265 or MJPEG." },
  lost: { tone: "bad", title: "Connection lost", advice: "detectd tries again by itself. If it stays away, check the network." },
  failed: { tone: "bad", title: "Failed", advice: "The reason stands above; the events page has more." },
};

const UNKNOWN: Words = { tone: "off", title: "No status yet", advice: "detectd has not reported on this camera yet." };

/** What arrives is recorded, whether it can be decoded or not. */
const UNDECODED: Words = { tone: "busy", title: "Recorded, not decoded", advice: "The video is kept, but nothing is detected in it." };

export function wordsOf(status: (Pick<Status, "state"> & Partial<Pick<Status, "recording">>) | undefined): Words {
  if (status?.recording && status.state === "connecting") return UNDECODED;
  return status ? (STATES[status.state] ?? UNKNOWN) : UNKNOWN;
}

export const DROP_WORDS: Record<string, string> = {
  packets: "packets lost or unreadable",
  source: "not handed on by the source",
  decode: "not decoded: the queue was full",
  late: "not decoded: too old",
  no_key: "not decoded: key frame missing",
  no_decoder: "not decoded: no decoder",
  corrupt: "refused by the decoder",
  empty: "without a picture of their own",
  closed: "left at the end",
  damaged: "not detected: parts missing",
  stale: "replaced by a newer frame",
  no_model: "no model loaded",
  failed: "detection failed",
  outrun: "detections came too late",
  record: "not recorded",
  store: "not stored",
  live: "not shown to a viewer",
};

/** Codings of sound, in words. */
export const AUDIO_WORDS: Record<string, string> = {
  aac: "AAC",
  opus: "Opus",
  pcmu: "G.711 (µ-law)",
  pcma: "G.711 (A-law)",
};

export const CLOCK_WORDS: Record<string, string> = {
  rtcp: "camera’s own clock (RTCP)",
  arrival: "this machine, on arrival",
  file: "start of playing + time in the file",
};

/** What a camera is spared while nothing moves; "" is as the settings say. */
export const IDLE_WORDS: Record<string, string> = {
  "": "As in the settings",
  auto: "Automatic",
  decode: "Decode all, detect seldom",
  off: "Decode and detect as always",
};

export const IDLE_HINTS: Record<string, string> = {
  "": "What detect.idle says in config.yaml",
  auto: "Leaves video undecoded where its coding tells that nothing moves; a key picture is looked at every few seconds",
  decode: "Compares all pictures, and detects in one every two seconds until something moves",
  off: "Costs most and misses nothing that the model can see",
};

/** What pictures and coding say of movement. */
export const ACTIVITY_WORDS: Record<string, string> = {
  learning: "learning",
  idle: "idle, not decoded",
  active: "active",
  unsure: "decoded",
  still: "still, seldom detected",
};
