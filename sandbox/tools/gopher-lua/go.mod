// What the tests run Argo CD's scripts with; see main.go.
module gopher-lua

go 1.26.0

require github.com/yuin/gopher-lua v1.1.2
