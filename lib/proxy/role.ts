/** What a destination is to its call. */
export interface Role {
  readonly name: 'primary' | 'secondary';
  /** Its response goes to the client. */
  readonly answers: boolean;
  /** The client is paused while it has no room. */
  readonly holdsClientBack: boolean;
  /** The call does not end before it has. */
  readonly holdsStatus: boolean;
}

export const PRIMARY: Role = { name: 'primary', answers: true, holdsClientBack: true, holdsStatus: true };
export const SECONDARY: Role = {
  name: 'secondary',
  answers: false,
  holdsClientBack: true,
  holdsStatus: true,
};
/** A secondary of a {@link Quorum}, which says what it holds. */
export const MEMBER: Role = {
  name: 'secondary',
  answers: false,
  holdsClientBack: false,
  holdsStatus: true,
};
