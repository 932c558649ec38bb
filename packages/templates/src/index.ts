/** The public surface of @molecule/templates: what a template directory says, read in one place for every service. */
export {};
