"""Machines for the tests of the cluster: isolated hosts with an ssh server each, on a network that leads nowhere."""
