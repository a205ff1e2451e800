package zsock

// fifo is a first-in-first-out list that gives memory back as it shrinks.
type fifo[T any] struct {
	items []T // items[head:] are in it
	head  int
}

func (f *fifo[T]) len() int { return len(f.items) - f.head }

func (f *fifo[T]) at(i int) *T { return &f.items[f.head+i] }

func (f *fifo[T]) push(v T) {
	if f.head > 64 && f.head > len(f.items)/2 {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, v)
}

func (f *fifo[T]) pop() T {
	var zero T
	v := f.items[f.head]
	f.items[f.head] = zero
	f.head++
	if f.head == len(f.items) {
		f.head, f.items = 0, f.items[:0]
		if cap(f.items) > 1024 {
			f.items = nil
		}
	}
	return v
}

// remove takes out the element at i and keeps the order of the others.
func (f *fifo[T]) remove(i int) T {
	v := *f.at(i)
	copy(f.items[f.head+1:], f.items[f.head:f.head+i])
	f.pop()
	return v
}
