import Glibc
import Storage

// Invariant of this file: text handed to strtold is copied, and a terminator written behind it, first; what snprintf
// writes stays within the size that it is given.

/// Decimal numbers as INCRBYFLOAT and HINCRBYFLOAT compute with them: the platform's long double, 80 bits on x86-64, so
/// that 0.1 added ten times prints as 1.
enum LongDouble {
    #if arch(x86_64) || arch(i386)
        typealias Value = Float80
    #else
        typealias Value = Double
    #endif

    /// The longest text that is read, and the longest that is written: 4933 digits, the fraction and the sign.
    private static let maxLength = 5 * 1024

    /// What strtold makes of the whole text; nil for nothing, a space in front, anything behind, NaN, or a number that
    /// is too large or too small.
    static func parse(_ text: Bytes) -> Value? {
        guard let first = text.buffer.first, first != 32, !(9...13).contains(first), text.count < maxLength,
            !text.buffer.contains(0)
        else { return nil }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: text.count + 1) { copy in
            guard let start = copy.baseAddress else { return nil }
            memcpy(start, text.base, text.count)
            start[text.count] = 0
            var end: UnsafeMutablePointer<CChar>?
            errno = 0
            #if arch(x86_64) || arch(i386)
                let value = strtold(start, &end)
            #else
                let value = strtod(start, &end)
            #endif
            guard end == start + text.count, !value.isNaN else { return nil }
            if errno == ERANGE, value.isInfinite || value == 0 { return nil }
            return value
        }
    }

    /// 17 digits behind the point, less the zeros at the end.
    static func append(_ value: Value, to out: OutputBuffer) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: maxLength) { text in
            guard let start = text.baseAddress else { return }
            #if arch(x86_64) || arch(i386)
                let format = "%.17Lf"
            #else
                let format = "%.17f"
            #endif
            var length = Int(withVaList([value]) { vsnprintf(start, maxLength, format, $0) })
            guard length > 0, length < maxLength else { return }
            while start[length - 1] == 48 { length -= 1 }
            if start[length - 1] == 46 { length -= 1 }
            let digits = Bytes(start, length)
            out.append(digits == Bytes("-0") ? Bytes("0") : digits)
        }
    }
}
