package main

const usage = `usage: rados [options] [commands]
POOLS
   lspools                             names of the pools
   df                                  what pools and the cluster hold
   ls                                  objects in the pool
   lssnap                              snapshots of the pool
   mksnap SNAP | rmsnap SNAP           make or remove a snapshot of the pool
   cppool POOL DEST-POOL               copy all objects to another pool
   purge POOL --yes-i-really-really-mean-it
                                       remove all objects of a pool

OBJECTS
   put OBJECT FILE [--offset N]        write a file to an object ("-": standard input)
   get OBJECT FILE                     write an object to a file ("-": standard output)
   append OBJECT FILE                  add a file to an object's end
   create OBJECT                       make an empty object
   truncate OBJECT LENGTH              set an object's size
   rm OBJECT ... [--force-full]        remove objects
   cp OBJECT [TARGET]                  copy an object
   stat OBJECT, stat2 OBJECT           size and time; stat2 with fractions of seconds
   touch OBJECT [SECONDS]              set an object's time
   setxattr OBJECT NAME [VALUE]        set an attribute; without VALUE from standard input
   getxattr OBJECT NAME
   listxattr OBJECT
   rmxattr OBJECT NAME
   set-alloc-hint OBJECT OBJECT-SIZE WRITE-SIZE

OMAPS
   setomapval OBJECT KEY [VALUE]       without VALUE from standard input or --input-file
   getomapval OBJECT KEY [FILE]
   listomapkeys OBJECT
   listomapvals OBJECT
   rmomapkey OBJECT KEY
   clearomap OBJECT ...
   setomapheader OBJECT VALUE
   getomapheader OBJECT [FILE]

BENCHMARKS
   bench SECONDS write|seq|rand [-t N] [--no-cleanup] [--run-name NAME] [--no-hints] [--reuse-bench]
                                       16 operations of 4 MiB at a time unless told otherwise;
                                       seq and rand read what "write --no-cleanup" left
   cleanup [--run-name NAME] [--prefix PREFIX]
                                       remove what benchmarks left

OPTIONS
   -p, --pool POOL                     the pool
   --pgid PG                           list one placement group only
   -N, --namespace NAMESPACE           the namespace
   --all                               with ls and cleanup: all namespaces
   --default                           with ls and cleanup: the default one, even with --all
   --object-locator KEY                place objects by this key
   --target-pool, --target-locator, --target-nspace
                                       with cp: where the copy goes
   -s, --snap SNAP                     read this snapshot of the pool (-S, --snapid by number)
   -f, --format plain|json|json-pretty
   -o, --output FILE                   with ls, and bench --format: where output goes
   -b, --block-size SIZE               bytes per operation of put, get and bench (default 4M)
   -O, --object-size SIZE              bench: bytes per object (default: one operation)
   --max-objects N                     bench: write no more objects than that
   --offset N                          put: where in the object to write
   --input-file FILE                   the value of setomapval and setxattr
   --omap-key-file FILE                the key of omap commands
   --obj-name-file FILE                the name of the object
   --create                            create the pool first
   -t, --concurrent-ios N              operations in flight
   --show-time                         bench: begin lines with the time
   --no-verify                         bench: do not compare what is read
   --write-object, --write-omap, --write-xattr
                                       bench: what to write to
   --run-name NAME                     bench: object that remembers the run
                                       (default benchmark_last_metadata)
   -c, --conf FILE                     configuration ($CEPH_CONF, /etc/ceph/ceph.conf, ...)
   -n, --name TYPE.ID   --id ID        who we are (default client.admin)
   -m HOST                             address of a monitor
   --cluster NAME                      the cluster's name (default ceph)
   --OPTION VALUE                      any configuration option
   -v, --version   -h, --help
`
