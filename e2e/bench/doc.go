// Package bench measures what a user feels, from outside: the program as it is built,
// a real kube-apiserver, and FRR and BIRD whose kernels tell when a route is there. Beside
// each figure stands a floor from the same run: a sender of BGP that does nothing else.
//
// Each measurement is a line of benchmark output, as benchstat reads it, in the file that
// FAIRWAY_BENCH_OUT names; package table makes one table of them. `make bench` runs both.
//
// churn_test.go is the hour of changes of `make soak`; scale_test.go measures what
// docs/scale.md counts with (`make scale`).
package bench
