// The records of the HTTP API, named as the page uses them. Their shapes come
// from the OpenAPI description; only what a schema cannot say is narrowed here.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Status = Schemas["Status"];
export type State = Status["state"];
export type Client = Schemas["Client"];
export type Camera = Schemas["Camera"];
export type CameraInput = Schemas["CameraSettings"];
export type Transport = Camera["transport"];

/** Left, top, width, height in pixels of the frame. */
export type Box = [number, number, number, number];
export type Detection = Schemas["Detection"];
export type BoxKind = Detection["kind"];

/** An object of a live or stored frame, or of an uploaded picture (no kind, no track). */
export type AnnotatedObject = Omit<Schemas["Object"], "box" | "kind"> & { box: Box; kind?: BoxKind };

/** Events may carry null for a frame without objects. */
export type Annotation = Omit<Schemas["Annotation"], "objects"> & { objects?: AnnotatedObject[] | null };

export type PictureDetections = Omit<Schemas["ImageDetections"], "detections"> & { detections: AnnotatedObject[] };
export type FrameDetections = Omit<Schemas["FrameDetections"], "detections"> & { detections: AnnotatedObject[] };
export type Result = Schemas["Result"];
export type Track = Schemas["Track"];
export type LogEvent = Schemas["Event"];
export type Recording = Schemas["Recording"];
export type CameraCoverage = Schemas["CameraCoverage"];
export type TimelinePiece = Schemas["TimelinePiece"];
export type Keep = Schemas["Keep"];
export type Model = Schemas["Model"];
export type ModelVersion = Schemas["ModelVersion"];
export type CatalogueModel = Schemas["CatalogueModel"];
export type ModelDifference = Schemas["ModelDifference"];
export type ModelCheck = Schemas["ModelCheck"];
export type VersionDetails = Schemas["VersionDetails"];
export type Measurement = Schemas["Measurement"];
export type AliasGates = Schemas["AliasGates"];
export type AliasRules = Schemas["AliasRules"];
export type RulesCheck = Schemas["RulesCheck"];
export type RuleResult = Schemas["RuleResult"];
export type Promotion = Schemas["Promotion"];
export type NewPromotion = Schemas["NewPromotion"];
export type PromotionStep = Schemas["PromotionStepInput"];
export type ShadowFigures = Schemas["ShadowFigures"];
export type RunningModel = Schemas["RunningModel"];
export type RunningDifference = Schemas["RunningDifference"];
export type RunningState = Schemas["RunningState"];
export type AliasMove = Schemas["AliasMove"];
export type RunningModelInput = Schemas["RunningModelChange"];
export type Zones = Schemas["Zones"];
export type ZoneShapes = Schemas["ZoneShapes"];
export type Zone = Schemas["Zone"];
export type Line = Schemas["Line"];
export type Mask = Schemas["Mask"];
export type ZoneCount = Schemas["ZoneCount"];
export type Report = Schemas["Report"];
export type System = Schemas["SystemView"];

export interface List<T> {
  items: T[] | null;
  next?: string;
}

/** RFC 9457, with the stored record on a 412. */
export type Problem = Partial<Schemas["ErrorModel"]> & { current?: unknown };
