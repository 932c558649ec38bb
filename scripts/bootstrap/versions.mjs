/** Versions of Node, as far as the beginning needs them. */

export const OLDEST_NODE = 20;

/** @param {string} version such as `20.20.2` */
export const nodeIsTooOld = (version) => Number.parseInt(version, 10) < OLDEST_NODE;
