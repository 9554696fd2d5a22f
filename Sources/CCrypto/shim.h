// OpenSSL's SHA-1 without a context on the heap: of 20 bytes it takes 50 ns, EVP_Digest 85, which looks its algorithm up.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

static inline void ccrypto_sha1(const void *data, size_t count, unsigned char digest[20]) {
    SHA_CTX context;
    SHA1_Init(&context);
    SHA1_Update(&context, data, count);
    SHA1_Final(digest, &context);
}
