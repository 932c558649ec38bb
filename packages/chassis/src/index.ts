/** The public surface of @molecule/chassis. What is not named here is private to the package. */
export { type Chassis, type ChassisConfig, openChassis } from './chassis.ts';
