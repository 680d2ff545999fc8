const SECRET_NAME = /auth|cookie|credential|jwt|key|pass|secret|session|signature|token/i;

/** Whether the name of metadata tells that its values are not to be shown. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name);
}
