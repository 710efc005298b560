#!/usr/bin/env bash
# Process 1 of a node: etcd, the control plane, containerd, kubelet and kube-proxy, in namespaces of their own, which end
# with it. Usage: node.sh FOLDER BINARIES NODE_ADDRESS HOST_ADDRESS CGROUP; writes FOLDER/started when all of it runs.
set -euo pipefail
folder=$1 binaries=$2 node=$3 host=$4 cgroup=$5
PATH="$binaries:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
token=$(cat "$folder/token")
pki=$folder/pki
services=10.96.0.0/16 pods=10.244.0.0/24
export KUBECONFIG=$folder/kubeconfig

run() {
  local name=$1
  shift
  "$@" >"$folder/log/$name" 2>&1 &
}

until_true() {
  local tries=600
  until "$@" >/dev/null 2>&1; do
    ((tries-- > 0)) || { echo "waited in vain for: $*" >&2; exit 1; }
    sleep 0.2
  done
}

network() {
  ip link set lo up
  until_true ip link show eth0
  ip address add "$node/24" dev eth0
  ip link set eth0 up
  ip route add default via "$host"
  sysctl -qw net.ipv4.ip_forward=1
}

certificate() {
  local name=$1 subject=$2 authority=$3 extensions=$4
  openssl req -newkey rsa:2048 -nodes -keyout "$pki/$name.key" -out "$pki/$name.csr" -subj "$subject"
  openssl x509 -req -in "$pki/$name.csr" -CA "$pki/$authority.crt" -CAkey "$pki/$authority.key" -CAcreateserial \
    -days 30 -out "$pki/$name.crt" -extfile <(printf '%s\n' "$extensions")
}

certificates() {
  local authority
  for authority in ca front-proxy-ca; do
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$pki/$authority.key" -out "$pki/$authority.crt" -days 30 \
      -subj "/CN=$authority"
  done
  certificate api /CN=api ca "subjectAltName=IP:$node,IP:127.0.0.1,IP:10.96.0.1,DNS:kubernetes.default.svc"
  certificate front-proxy /CN=front-proxy front-proxy-ca extendedKeyUsage=clientAuth
  openssl genrsa -out "$pki/accounts.key" 2048
  openssl rsa -in "$pki/accounts.key" -pubout -out "$pki/accounts.pub"
} 2>/dev/null

control_plane() {
  # The module names its program so.
  run etcd server --data-dir "$folder/etcd" --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 \
    --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
  printf '%s,admin,admin,"system:masters"\n' "$token" >"$folder/tokens.csv"
  run api kube-apiserver --etcd-servers http://127.0.0.1:2379 --service-cluster-ip-range "$services" \
    --tls-cert-file "$pki/api.crt" --tls-private-key-file "$pki/api.key" --client-ca-file "$pki/ca.crt" \
    --service-account-key-file "$pki/accounts.pub" --service-account-signing-key-file "$pki/accounts.key" \
    --service-account-issuer https://kubernetes.default.svc --token-auth-file "$folder/tokens.csv" \
    --authorization-mode RBAC --advertise-address "$node" --allow-privileged \
    --kubelet-preferred-address-types InternalIP --enable-aggregator-routing \
    --requestheader-client-ca-file "$pki/front-proxy-ca.crt" --requestheader-allowed-names front-proxy \
    --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
    --requestheader-extra-headers-prefix X-Remote-Extra- \
    --proxy-client-cert-file "$pki/front-proxy.crt" --proxy-client-key-file "$pki/front-proxy.key"
  until_true kubectl get --raw /readyz
  run controllers kube-controller-manager --kubeconfig "$KUBECONFIG" --root-ca-file "$pki/ca.crt" \
    --service-account-private-key-file "$pki/accounts.key" --use-service-account-credentials --leader-elect=false \
    --horizontal-pod-autoscaler-sync-period 5s --horizontal-pod-autoscaler-downscale-stabilization 15s
  run scheduler kube-scheduler --kubeconfig "$KUBECONFIG" --leader-elect=false
}

containers() {
  cat >"$folder/containerd.toml" <<TOML
version = 2
root = "$folder/containerd"
state = "/run/containerd/state"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  # Lowering the score is refused inside another container.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$folder/cni"
TOML
  mkdir -p "$folder/cni"
  cat >"$folder/cni/10-pods.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "ptp", "ipMasq": true, "ipam": {
    "type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
  run containerd containerd -c "$folder/containerd.toml"
  until_true ctr version
  local image
  for image in "$folder"/images/*.tar; do
    ctr --namespace k8s.io images import --all-platforms "$image" >>"$folder/log/images" 2>&1
  done
  # The node's own clean-up of images must leave what no registry can bring back.
  ctr --namespace k8s.io images label localhost/pause:1 io.cri-containerd.pinned=pinned >/dev/null
}

kubelet_and_proxy() {
  cat >"$folder/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
enforceNodeAllocatable: []
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
failCgroupV1: false
failSwapOn: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
localStorageCapacityIsolation: true
resolvConf: $folder/resolv.conf
YAML
  echo "nameserver 127.0.0.1" >"$folder/resolv.conf"
  run kubelet kubelet --config "$folder/kubelet.yaml" --kubeconfig "$KUBECONFIG" --root-dir "$folder/kubelet" \
    --hostname-override node --node-ip "$node"
  # What the kernel keeps for the whole machine is not the node's to set.
  run proxy kube-proxy --kubeconfig "$KUBECONFIG" --hostname-override node --proxy-mode iptables \
    --cluster-cidr "$pods" --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0s \
    --conntrack-tcp-timeout-close-wait 0s
}

# A claim that is gone leaves a volume that nobody else may take: it is emptied and offered again.
volumes() {
  local name
  while sleep 3; do
    for name in $(kubectl get persistentvolumes --output 'jsonpath={.items[?(@.status.phase=="Released")].metadata.name}'); do
      kubectl delete persistentvolume "$name" >/dev/null
      find "$folder/volumes/$name" -mindepth 1 -delete
      kubectl apply --server-side --filename "$folder/addons/volumes.yaml" >/dev/null
    done
  done
}

mount --make-rshared /
# What the node writes beside its folder ends with it.
for path in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$path"; done
export TMPDIR=$folder/tmp
network
certificates
control_plane
containers
kubelet_and_proxy
until_true kubectl get serviceaccount default
until_true kubectl get node node
kubectl apply --server-side --filename "$folder/addons" >"$folder/log/addons"
run volumes volumes
touch "$folder/started"
wait
