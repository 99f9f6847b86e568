/** The gateway's own version, as package.json has it; a test keeps them equal. */
export const VERSION = "0.2.0";
