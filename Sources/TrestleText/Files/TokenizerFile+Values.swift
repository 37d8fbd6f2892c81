import TrestleFormats

// Typed access to the JSON of a tokenizer file, with this module's errors.

/// The member of an object.
func member(_ key: String, of value: JSONValue) throws(TextError) -> JSONValue {
  try TextError.converting { () throws(FormatError) in try value.member(key) }
}

/// The member of an object, `nil` if it is absent or null.
func optional(_ key: String, of value: JSONValue) throws(TextError) -> JSONValue? {
  try TextError.converting { () throws(FormatError) in try value.optionalMember(key) }
}

func string(_ value: JSONValue) throws(TextError) -> String {
  try TextError.converting { () throws(FormatError) in try value.string() }
}

func bytes(_ value: JSONValue) throws(TextError) -> [UInt8] {
  try TextError.converting { () throws(FormatError) in try value.withUTF8 { Array($0) } }
}

func array(_ value: JSONValue) throws(TextError) -> JSONArray {
  try TextError.converting { () throws(FormatError) in try value.array() }
}

func integer(_ value: JSONValue, in range: ClosedRange<Int>) throws(TextError) -> Int {
  try TextError.converting { () throws(FormatError) in try value.int(in: range) }
}

func number(_ value: JSONValue) throws(TextError) -> Double {
  try TextError.converting { () throws(FormatError) in try value.double() }
}

/// A Boolean member; absent and null mean `false`.
func flag(_ key: String, of value: JSONValue, default absent: Bool = false) throws(TextError) -> Bool {
  guard let flag = try optional(key, of: value) else { return absent }
  return try TextError.converting { () throws(FormatError) in try flag.bool() }
}
