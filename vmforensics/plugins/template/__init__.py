"""What `vmforensics plugins new` writes: a stage of each kind that works, its tests, and a project around them.

The modules are ordinary ones, checked with the rest of the program. In a new plugin, MyStage, my-stage and the names of
these modules give way to its own names.
"""
