"""From equations to machine code: straight-line programs, one Rosenbrock step as LLVM IR, the kernels in memory."""
