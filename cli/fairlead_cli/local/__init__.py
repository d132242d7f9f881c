"""A real one-node Kubernetes on this machine, from binaries on PATH or built once from pinned Go modules.

Three layers, each usable without the ones above it:

- `binaries`      finds or builds programs; needs Go and nothing else.
- `controlplane`  etcd and kube-apiserver (and, if asked, the other control-plane programs) as children of the caller;
                  needs no root. It is what tests of schemas, RBAC and server-side apply stand on.
- `cluster`       the whole node with containerd, kubelet, kube-proxy and cluster DNS; needs root on Linux.
"""
