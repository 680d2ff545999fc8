/** The config file of the contract (OPERATIONS.md, "Config file"), with the replica that it does not list. */
export const EXAMPLE = `listen:
  - address: 0.0.0.0:50051            # a string alone is short for { address }
    tls: { cert: tls.crt, key: tls.key, clientCa: clients.pem }
transport: frames
admin: 127.0.0.1:9901                  # or { address, hosts: [proxy.internal] }
workers: auto                          # default 1: no further process
metrics: { maxMethods: 1000 }
health: own
drainTimeout: 30s
accessLog: { file: "-", sample: 1 }    # the fraction of OK calls that is logged; failures always are
backends:
  files:
    target: dns:///files.storage.svc:50051       # any target that dial() takes; or targets: [a, b]
    loadBalancing: round_robin
    tls: { ca: ca.pem, cert: me.crt, key: me.key, serverName: files.internal }
    healthCheck: { service: "" }
    keepalive: { time: 30s, timeout: 10s }
    maxConnections: 8
    maxConcurrentCalls: 1000          # over it: RESOURCE_EXHAUSTED at once
    authority: preserve               # or a fixed value
  files-next: { target: "http://10.0.0.7:50051" }
  replica: { target: "http://10.0.0.8:50051" }
routes:                                # the first that matches
  - name: writes                         # for logs; its number otherwise
    match: { service: storage.Files, method: [Write, Delete], authority: files.example.com, metadata: { x-tenant: acme } }
    primary: files                     # or a weighted choice: [{ backend: files, weight: 95 }, { backend: files-next, weight: 5 }]
    secondaries: [{ backend: replica, onError: ignore }]          # fail is the default
    shadows: [{ backend: files-next, percent: 5, compare: true, maxLag: 1MiB, metadata: { set: { x-shadow: "1" }, remove: [authorization] } }]
    timeout: 5s                        # the shorter of this and the client's
    waitForReady: true
    requestMetadata: { set: { x-proxy: edge }, remove: [x-debug] }
    responseMetadata: { set: { x-served-by: edge }, remove: [server] }
  - match: { service: "internal.*" }   # * at the end of service, method or a metadata value: a prefix
    reject: { code: PERMISSION_DENIED, message: "not from outside" }
  - match: {}
    primary: files
`;
