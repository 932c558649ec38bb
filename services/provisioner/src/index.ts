/** The public surface of the provisioner: what an all-in-one process, and who makes images, composes it from. */
export { answers, createEngine, type EngineSettings } from './backends/docker/engine.ts';
export { Config } from './config.ts';
export { EchoImage } from './images/echo-image.ts';
export { installationOf } from './installation.ts';
export { createProvisioner, type ProvisionerOptions } from './service.ts';
