package crush

// treeLeaf is the node of a tree bucket that holds item i.
func treeLeaf(i int) int { return 2*i + 1 }
