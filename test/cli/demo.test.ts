import { spawnSync } from 'node:child_process';
import t from 'tap';
import { commandOf } from '../../lib/cli/demo.js';
import { tryIt } from '../../lib/cli/demo-backends.js';

/** The words that a shell gives a command that is called by a line. */
function wordsOf(line: string): string[] {
  const echoes = ['curl', 'grpcurl'].map((name) => `${name}() { printf '%s\\n' "$@" >&2; }`);
  const { stderr } = spawnSync('sh', ['-c', [...echoes, line].join('\n')], { encoding: 'utf8' });
  return stderr.split('\n');
}

t.test('the commands to try are taken as they are meant by a shell, whatever the address', async (t) => {
  const path = "/tmp/who's there/a $b.sock";
  const [curl, grpcurl] = tryIt(`unix:${path}`, 'cleartext');
  const words = wordsOf(curl!);
  t.equal(words[words.indexOf('--unix-socket') + 1], path);
  t.ok(words.includes('http://localhost/demo.Echo/Say'));
  t.ok(wordsOf(grpcurl!).includes(path));

  const [toIpv6] = tryIt('[::1]:50051', 'TLS');
  t.match(toIpv6, / 'https:\/\/\[::1\]:50051\/demo\.Echo\/Say' /, 'which zsh takes for no pattern');
  const [plain] = tryIt('127.0.0.1:50051', 'cleartext');
  t.match(plain, / http:\/\/127\.0\.0\.1:50051\/demo\.Echo\/Say /);
});

t.test('who has installed the command is told how to go on with it, and not of a checkout', async (t) => {
  t.equal(commandOf('start'), 'npm start --');
  t.equal(commandOf('npx'), 'npx grpc-frame-proxy');
  for (const script of [undefined, 'dev', '']) t.equal(commandOf(script), 'grpc-frame-proxy');
});
