package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// standIn serves every connection until the test ends, and returns the address.
func standIn(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// moodyRedis answers every command with the same error.
func moodyRedis(t *testing.T, says string) string {
	return standIn(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for {
			var words int
			if _, err := fmt.Fscanf(in, "*%d\r\n", &words); err != nil {
				return
			}
			for range 2 * words { // each with its length before it
				if _, err := in.ReadString('\n'); err != nil {
					return
				}
			}
			if _, err := io.WriteString(conn, "-"+says+"\r\n"); err != nil {
				return
			}
		}
	})
}

// selfSigned is a certificate that no client trusts.
func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"},
	}
	made, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{made}, PrivateKey: key}}, NextProtos: []string{"h2"}}
}

// postgresWithTLS answers the question for TLS as told, and goes no further than the handshake.
func postgresWithTLS(t *testing.T, answer string) string {
	certificate := selfSigned(t)
	return standIn(t, func(conn net.Conn) {
		if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
			return
		}
		if _, err := io.WriteString(conn, answer); err == nil && answer == "S" {
			_ = tls.Server(conn, certificate).Handshake()
		}
	})
}

// frame is a message as it is on the wire.
type frame struct{ body []byte }

type frames struct{}

func (frames) Marshal(message any) ([]byte, error) { return message.(*frame).body, nil }
func (frames) Unmarshal(body []byte, message any) error {
	message.(*frame).body = append([]byte(nil), body...) // what it stands in is used again
	return nil
}
func (frames) Name() string { return "frames" }

// moodyTemporal stands before a Temporal server and answers some calls itself, with an error.
func moodyTemporal(t *testing.T, target string, mood func(method string) error) string {
	t.Helper()
	server, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	front := grpc.NewServer(grpc.ForceServerCodec(frames{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		var in, out frame
		if err := stream.RecvMsg(&in); err != nil {
			return err
		}
		if err := mood(path.Base(method)); err != nil {
			return err
		}
		sent, _ := metadata.FromIncomingContext(stream.Context())
		for name := range sent {
			if strings.HasPrefix(name, ":") {
				delete(sent, name)
			}
		}
		ctx := metadata.NewOutgoingContext(stream.Context(), sent)
		if err := server.Invoke(ctx, method, &in, &out, grpc.ForceCodec(frames{})); err != nil {
			return err
		}
		return stream.SendMsg(&out)
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = front.Serve(listener) }()
	t.Cleanup(front.Stop)
	return listener.Addr().String()
}
