// The CRD of Cilium's network policies, pinned; no program is built from it. To move to another release, change the version
// and run `go mod download`, which writes go.sum.
module cilium

go 1.26.0

require github.com/cilium/cilium v1.20.2
