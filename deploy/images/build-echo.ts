/**
 * `node deploy/images/build-echo.ts`: makes the image of the echo runtime on the engine that DOCKER_HOST names, from what is on this
 * machine, and prints its name. The Docker backend does the same by itself; this is for engines that agents are started on elsewhere.
 */
import { createEngine, EchoImage } from '../../services/provisioner/src/index.ts';

const PATIENCE_MS = 120_000;

const quiet = { info: () => {} };
const { DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH, DOCKER_API_VERSION } = process.env;
const engine = createEngine({ DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH, DOCKER_API_VERSION });
const image = await new EchoImage(engine, quiet).ensure(AbortSignal.timeout(PATIENCE_MS));
process.stdout.write(`${image}\n`);
