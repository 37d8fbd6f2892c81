import Testing

/// Everything that changes process-wide settings (instruction set, thread count) runs one after the other in here.
@Suite(.serialized) struct TensorCoreTests {}
