// Package filestore is a store on a file system. The full account of its design is at
// the end of this comment's file.
package filestore
