// OpenSSL's macros, which Swift does not see, as functions.
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

/// What a server and its clients never want: compression, renegotiation, a DH key that serves twice.
static inline void cssl_set_options(SSL_CTX *context, int prefers_server_ciphers, int has_tickets) {
    uint64_t options = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_SINGLE_DH_USE;
    if (prefers_server_ciphers) options |= SSL_OP_CIPHER_SERVER_PREFERENCE;
    if (!has_tickets) {
        options |= SSL_OP_NO_TICKET;
        SSL_CTX_set_num_tickets(context, 0);
    }
    SSL_CTX_set_options(context, options);
}
/// Versions are TLS1_VERSION and so on.
static inline int cssl_set_versions(SSL_CTX *context, int lowest, int highest) {
    return SSL_CTX_set_min_proto_version(context, lowest) && SSL_CTX_set_max_proto_version(context, highest);
}
static inline void cssl_forbid_version(SSL_CTX *context, int version) {
    SSL_CTX_set_options(
        context, version == TLS1_1_VERSION ? SSL_OP_NO_TLSv1_1 : version == TLS1_2_VERSION ? SSL_OP_NO_TLSv1_2 : 0);
}
/// Writes return when a part is written, whose rest may lie elsewhere by then; buffers are freed while they are empty.
static inline void cssl_set_mode(SSL_CTX *context) {
    SSL_CTX_set_mode(
        context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
}
static inline void cssl_set_session_cache(SSL_CTX *context, int is_server, long size) {
    SSL_CTX_set_session_cache_mode(context, is_server ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_OFF);
    if (is_server) SSL_CTX_sess_set_cache_size(context, size);
}
static inline void cssl_set_automatic_dh(SSL_CTX *context) { SSL_CTX_set_dh_auto(context, 1); }
static inline void cssl_retry_read(BIO *bio) { BIO_set_retry_read(bio); }
static inline void cssl_retry_write(BIO *bio) { BIO_set_retry_write(bio); }
static inline void cssl_clear_retry(BIO *bio) { BIO_clear_retry_flags(bio); }
static inline int cssl_reason(unsigned long code) { return ERR_GET_REASON(code); }
