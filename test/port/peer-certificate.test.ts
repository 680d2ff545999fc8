import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { parseSubjectAltNames } from '../../lib/port/peer-certificate.js';
import { Authority } from '../support/authority.js';

const authority = new Authority();

function namesOf(...altNames: string[]) {
  const { cert } = authority.issue({ name: 'x', altNames });
  return parseSubjectAltNames(new X509Certificate(cert).subjectAltName).map(
    ({ kind, value }) => `${kind} ${value}`,
  );
}

t.test('names of each kind', async (t) => {
  t.strictSame(
    namesOf('DNS:a.test', 'IP:10.0.0.1', 'URI:spiffe://a/b?c=d', 'email:me@a.test', 'DNS:*.b.test'),
    ['dns a.test', 'ip 10.0.0.1', 'uri spiffe://a/b?c=d', 'email me@a.test', 'dns *.b.test'],
  );
});

t.test('a name does not make further ones out of its commas, quotes and line ends', async (t) => {
  const evil = [
    'a, DNS:admin.test',
    'b", DNS:"admin.test',
    'c\\", DNS:admin.test',
    'd\n, DNS:admin.test',
    '"e"',
    ', ',
  ];
  for (const each of evil) {
    t.strictSame(namesOf(`URI:${each}`, 'DNS:last.test'), [`uri ${each}`, 'dns last.test']);
    t.strictSame(namesOf('DNS:first.test', `DNS:${each}`), ['dns first.test', `dns ${each}`]);
  }
});

t.test('names of other kinds have their own word in front', async (t) => {
  t.strictSame(
    parseSubjectAltNames('DirName:"CN=a\\u002cO=b", Registered ID:1.2.3, IP Address:0:0:0:0:0:0:0:1'),
    [
      { kind: 'other', value: 'DirName:CN=a,O=b' },
      { kind: 'other', value: 'Registered ID:1.2.3' },
      { kind: 'ip', value: '0:0:0:0:0:0:0:1' },
    ],
  );
  t.strictSame(parseSubjectAltNames('constructor:x'), [{ kind: 'other', value: 'constructor:x' }]);
});

t.test('what is no list of names ends where it is none', async (t) => {
  t.strictSame(parseSubjectAltNames(undefined), []);
  t.strictSame(parseSubjectAltNames(''), []);
  t.strictSame(parseSubjectAltNames('nonsense'), []);
  t.strictSame(parseSubjectAltNames('DNS:"a, DNS:admin.test'), []);
  t.strictSame(parseSubjectAltNames('DNS:"\\q", DNS:admin.test'), []);
  t.strictSame(parseSubjectAltNames('DNS:a.test,DNS:admin.test'), []);
  t.strictSame(parseSubjectAltNames('DNS:a.test, nonsense'), [{ kind: 'dns', value: 'a.test' }]);
});
