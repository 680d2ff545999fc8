import t from 'tap';
import type { HeaderList } from '../../../../lib/port/headers.js';
import { HeaderDecoder } from '../../../../lib/transport/frames/hpack/decoder.js';
import { readIntegerRest, writeInteger } from '../../../../lib/transport/frames/hpack/integer.js';

/** The examples of RFC 7541 appendix C, section by section. */

const custom: HeaderList = ['custom-key', 'custom-header'];
const firstRequest: HeaderList = [
  ...[':method', 'GET'],
  ...[':scheme', 'http'],
  ...[':path', '/'],
  ...[':authority', 'www.example.com'],
];
const secondRequest: HeaderList = [...firstRequest, 'cache-control', 'no-cache'];
const thirdRequest: HeaderList = [
  ...[':method', 'GET'],
  ...[':scheme', 'https'],
  ...[':path', '/index.html'],
  ...[':authority', 'www.example.com'],
  ...['custom-key', 'custom-value'],
];
const firstResponse: HeaderList = [
  ...[':status', '302'],
  ...['cache-control', 'private'],
  ...['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
  ...['location', 'https://www.example.com'],
];
const secondResponse: HeaderList = [':status', '307', ...firstResponse.slice(2)];
const thirdResponse: HeaderList = [
  ...[':status', '200'],
  ...['cache-control', 'private'],
  ...['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
  ...['location', 'https://www.example.com'],
  ...['content-encoding', 'gzip'],
  ...['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
];

const sections: readonly { section: string; tableSize: number; blocks: readonly [string, HeaderList][] }[] = [
  {
    section: 'C.2.1 literal with indexing',
    tableSize: 4096,
    blocks: [
      ['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', custom],
      ['be', custom],
    ],
  },
  {
    section: 'C.2.2 literal without indexing',
    tableSize: 4096,
    blocks: [['040c 2f73 616d 706c 652f 7061 7468', [':path', '/sample/path']]],
  },
  { section: 'C.2.4 indexed field', tableSize: 4096, blocks: [['82', [':method', 'GET']]] },
  {
    section: 'C.3 requests without Huffman coding',
    tableSize: 4096,
    blocks: [
      ['8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d', firstRequest],
      ['8286 84be 5808 6e6f 2d63 6163 6865', secondRequest],
      ['8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65', thirdRequest],
    ],
  },
  {
    section: 'C.4 requests with Huffman coding',
    tableSize: 4096,
    blocks: [
      ['8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', firstRequest],
      ['8286 84be 5886 a8eb 1064 9cbf', secondRequest],
      ['8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf', thirdRequest],
    ],
  },
  {
    section: 'C.5 responses without Huffman coding, with evictions',
    tableSize: 256,
    blocks: [
      [
        `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32
         3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
        firstResponse,
      ],
      ['4803 3330 37c1 c0bf', secondResponse],
      [
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970
         7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61
         6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
        thirdResponse,
      ],
    ],
  },
  {
    section: 'C.6 responses with Huffman coding, with evictions',
    tableSize: 256,
    blocks: [
      [
        `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad
         1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        firstResponse,
      ],
      ['4883 640e ffc1 c0bf', secondResponse],
      [
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
         e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
        thirdResponse,
      ],
    ],
  },
];

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

for (const { section, tableSize, blocks } of sections) {
  t.test(`RFC 7541 ${section}`, async (t) => {
    const decoder = new HeaderDecoder(tableSize, 65536);
    for (const [block, expected] of blocks) {
      const bytes = hex(block);
      t.strictSame(decoder.decode(bytes, 0, bytes.length), expected);
    }
  });
}

t.test('RFC 7541 C.2.3 literal never indexed is reported as such', async (t) => {
  const bytes = hex('1008 7061 7373 776f 7264 0673 6563 7265 74');
  const list = new HeaderDecoder(4096, 65536).decode(bytes, 0, bytes.length);
  t.strictSame([...list], ['password', 'secret']);
  t.strictSame(list.neverIndexed, ['password']);
});

t.test('RFC 7541 C.1 integers', async (t) => {
  const cases: readonly [number, number, string][] = [
    [10, 0x1f, '0a'],
    [1337, 0x1f, '1f9a0a'],
    [42, 0xff, '2a'],
  ];
  for (const [value, prefix, expected] of cases) {
    const buffer = Buffer.alloc(8);
    const end = writeInteger(buffer, 0, 0, prefix, value);
    t.equal(buffer.toString('hex', 0, end), expected);
    if (end > 1) t.equal(readIntegerRest({ block: buffer, position: 1, end }, prefix), value);
  }
});
