// The CRDs of Prometheus Operator, pinned; no program is built from it. To move to another release, change the version and
// run `go mod download`, which writes go.sum.
module prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
