package store

import (
	"context"

	"github.com/godbus/dbus/v5"
)

func elsewhere(of, user string) (items []Item, err error) {
	k := newKeyring().(*linuxKeyring)
	defer func() {
		if k.bus != nil {
			k.bus.close()
		}
	}()
	attrs := map[string]string{"service": of}
	if user != "" {
		attrs["username"] = user
	}
	err = k.do("read from", func(ctx context.Context, b *bus) error {
		wipe(items)
		items = nil
		found, err := b.search(ctx, attrs)
		if err != nil {
			return err
		}
		users := map[string][]dbus.ObjectPath{}
		for _, it := range found {
			a, err := b.attributes(ctx, it)
			if err != nil {
				return err
			}
			if name := a["username"]; name != "" {
				users[name] = append(users[name], it)
			}
		}
		for name, its := range users {
			it, err := b.newest(ctx, its)
			if err != nil {
				return err
			}
			v, err := b.secret(ctx, it)
			if err != nil {
				return err
			}
			items = append(items, Item{Service: of, User: name, Value: v})
		}
		return nil
	})
	if err != nil {
		wipe(items)
		return nil, err
	}
	return items, nil
}

func wipe(items []Item) {
	for _, it := range items {
		it.Value.Wipe()
	}
}
