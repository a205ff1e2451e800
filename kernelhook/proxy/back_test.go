package proxy

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// BenchmarkBack compares the two sockets that could carry a channel to the
// kernel, in turns in one run: zsock's Dealer and that of go-zeromq/zmq4.
func BenchmarkBack(b *testing.B) {
	dir, err := os.MkdirTemp("", "kh")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	endpoint := "ipc://" + filepath.Join(dir, "s")
	r, err := zsock.ListenRouter(endpoint, zsock.Options{MaxUntrusted: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	ctx := context.Background()
	go func() {
		for {
			m, err := r.Recv(ctx)
			if err != nil {
				return
			}
			_ = r.Send(m.Peer, m.Frames)
			m.Release()
		}
	}()
	own, err := zsock.DialDealer(ctx, endpoint, []byte("own"), zsock.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = own.Close() }()
	stock := zmq4.NewDealer(ctx, zmq4.WithID(zmq4.SocketIdentity("stock")))
	defer func() { _ = stock.Close() }()
	if err := stock.Dial(endpoint); err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{100, 100_000} {
		frames := [][]byte{[]byte("id"), []byte("<IDS|MSG>"), make([]byte, 64), make([]byte, 200), make([]byte, 200), []byte("{}"), make([]byte, size)}
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			var times [2][]float64
			for b.Loop() {
				began := time.Now()
				if err := own.Send(frames); err != nil {
					b.Fatal(err)
				}
				m, err := own.Recv(ctx)
				if err != nil || len(m.Frames) != len(frames) {
					b.Fatal(err)
				}
				m.Release()
				times[0] = append(times[0], float64(time.Since(began).Nanoseconds())/1e3)
				began = time.Now()
				if err := stock.SendMulti(zmq4.NewMsgFrom(frames...)); err != nil {
					b.Fatal(err)
				}
				if got, err := stock.Recv(); err != nil || len(got.Frames) != len(frames) {
					b.Fatal(err)
				}
				times[1] = append(times[1], float64(time.Since(began).Nanoseconds())/1e3)
			}
			for i, name := range []string{"zsock", "zmq4"} {
				slices.Sort(times[i])
				b.ReportMetric(times[i][len(times[i])/2], name+"-p50-µs")
				b.ReportMetric(times[i][len(times[i])*99/100], name+"-p99-µs")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
