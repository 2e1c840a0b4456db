table inet t1 {
 set dyn { type ipv4_addr; size 100; flags dynamic; }
 map am { type ipv4_addr : ipv4_addr; elements = { 1.1.1.1 : 2.2.2.2 } }
 chain a { type filter hook forward priority 0;
 icmpv6 code 0 accept
 }
 chain post { type nat hook postrouting priority 0; 
 
 }
 chain pre { type nat hook prerouting priority 0; 
 
 }
}
