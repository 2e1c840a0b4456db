# The image of the daemon and the CLI:
#
#   docker build --build-arg VERSION=v0.1.0 -t fairway-bgp/fairway:0.1.0 .
#
# Debian's iptables has both backends, iptables-legacy and iptables-nft: the host
# module asks each, because either may be what the node's other programs use.

FROM golang:1.26-trixie AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=devel
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/ \
      ./cmd/fairway github.com/osrg/gobgp/v4/cmd/gobgp

FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ipset iproute2 iptables nftables \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/fairway /out/gobgp /usr/local/bin/
RUN ln -s fairway /usr/local/bin/kubectl-fairway
# Without arguments it says what it can do; the DaemonSet says `run`.
ENTRYPOINT ["/usr/local/bin/fairway"]
