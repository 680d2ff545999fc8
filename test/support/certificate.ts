/**
 * A self-signed certificate for the names `backend.test` and `localhost`, and for no address, valid for a hundred
 * years: `openssl req -x509 -newkey ec -days 36500 -addext subjectAltName=DNS:backend.test,DNS:localhost …`.
 */
export const cert = `-----BEGIN CERTIFICATE-----
MIIBqTCCAU+gAwIBAgIUccG2ee1fpxKiE6ibSUufgrxZ3mcwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMYmFja2VuZC50ZXN0MCAXDTI2MTEyNTIzMjkyOFoYDzIxMjYx
MTAxMjMyOTI4WjAXMRUwEwYDVQQDDAxiYWNrZW5kLnRlc3QwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAAQYq7Y68bP4hfM64k/iK+flQf0fuMGViA53Sk1LBfkkHBrv
UPz9TAvLNt+xdoXj0HOvlB75pCnE9o2562wEkYH2o3cwdTAdBgNVHQ4EFgQUa6LJ
S+1PS9LgUfMJDPzvqgdkOgUwHwYDVR0jBBgwFoAUa6LJS+1PS9LgUfMJDPzvqgdk
OgUwDwYDVR0TAQH/BAUwAwEB/zAiBgNVHREEGzAZggxiYWNrZW5kLnRlc3SCCWxv
Y2FsaG9zdDAKBggqhkjOPQQDAgNIADBFAiAOEbbY2MAeBew3NKcKGzzFmll1joip
tPd2nkMstDyuWgIhAKKBEk/R5iVG6ygHozLlniVEmhLsSecrvAEtS+p2Yumb
-----END CERTIFICATE-----
`;

/** Its key: of use to nobody. */
export const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgI0njLo1KsYQM2d2P
n/REpCZZo9JYTQ70h90PrZvchn+hRANCAAQYq7Y68bP4hfM64k/iK+flQf0fuMGV
iA53Sk1LBfkkHBrvUPz9TAvLNt+xdoXj0HOvlB75pCnE9o2562wEkYH2
-----END PRIVATE KEY-----
`;
