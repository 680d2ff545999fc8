/** Whether this Node is of a version, or a later one. */
export function nodeIsAtLeast(major: number, minor: number): boolean {
  const [nodeMajor = 0, nodeMinor = 0] = process.versions.node.split('.').map(Number);
  return nodeMajor > major || (nodeMajor === major && nodeMinor >= minor);
}
