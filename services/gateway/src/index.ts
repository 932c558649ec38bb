/** The public surface of @molecule/gateway. What is not named here is private to the service. */
export { Config, isLoopback } from './config.ts';
export { type DeclaredRoute, OWNERS, ownersOf } from './owners.ts';
export { createGateway, type GatewayOptions, type LocalListeners } from './service.ts';
