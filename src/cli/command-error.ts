/** A fault that the user can mend: printed as one message without a stack, and the command ends with status 2. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}
