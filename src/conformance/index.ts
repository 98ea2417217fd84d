/** `meridian/conformance`: the laws of the engine port, for whoever writes an engine. */
export { describeEngine } from './describe.ts';
export type { DescribeOptions, TestRunner } from './describe.ts';
export { missingControls, uphold } from './law.ts';
export type { Law } from './law.ts';
export { LAWS } from './laws/all.ts';
export { capabilityMatrix, withMatrix } from './report.ts';
export type { ConformanceReport, LawOutcome, LayoutReport } from './report.ts';
export { Stage } from './stage.ts';
export type { ClusterShape, EngineSubject, FaultControls, SubjectCluster } from './subject.ts';

// The port itself: what an adapter implements.
export type { EngineCapabilities } from '../engines/capabilities.ts';
export type * from '../engines/connector.ts';
export type * from '../engines/engine.ts';
export type * from '../engines/snapshot.ts';
