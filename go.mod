module github.com/fairway-bgp/fairway

go 1.26.0
