"""What a visitor does on the page, in a real browser."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


def hung(page):
    return page.locator("#hung .piece").evaluate_all("all => all.map((one) => one.dataset.item)")


def chosen(page):
    return page.locator("#chosen .piece").evaluate_all("all => all.map((one) => one.dataset.item)")


def like(page, place):
    """Click a work; its id."""
    button = page.locator("#hung .liking").nth(place)
    item = button.get_attribute("value")
    button.click()
    page.wait_for_selector(f"#chosen [data-item='{item}']")
    return item


def settle(page):
    """Wait until the works have found their new places."""
    page.evaluate(
        "async () => { while (document.documentElement.matches(':active-view-transition'))"
        " await new Promise(requestAnimationFrame); }"
    )
    page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null)))")


def test_like_new_wall_why_sold(visit, gallery):
    page = visit()
    first = hung(page)
    assert len(first) == 30
    assert chosen(page) == []
    mine = [like(page, 2)]
    settle(page)
    second = hung(page)
    assert second != first
    assert mine[0] not in second
    mine.insert(0, like(page, 5))
    settle(page)
    assert chosen(page) == mine

    page.locator("#hung .piece").nth(1).hover()
    page.wait_for_selector("#reason:not([hidden])")
    speaking = page.locator("#chosen .speaks").evaluate_all("all => all.map((one) => one.dataset.item)")
    assert speaking
    assert set(speaking) <= set(mine)
    assert page.locator("#threads path").count() == len(speaking)
    shares = page.locator("#reason li b").all_inner_texts()
    assert 99 <= sum(int(share.split()[0]) for share in shares) <= 101
    assert page.locator("#hung .why").nth(1).text_content().startswith("Because of")

    gone = next(work.item_id for work in gallery.works(hung(page)) if work.original)
    gallery.sell(gone, "somebody")
    page.locator("#surprise").evaluate(
        "one => { one.value = 40; one.dispatchEvent(new Event('change', { bubbles: true })) }"
    )
    page.wait_for_url("**/?surprise=40")
    settle(page)
    assert gone not in hung(page)
    page.reload()
    assert chosen(page) == mine
    assert gone not in hung(page)


def test_click_again_takes_back(visit):
    page = visit()
    item = like(page, 0)
    settle(page)
    button = page.locator("#chosen .liking")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    page.wait_for_selector(".nothing-chosen")
    settle(page)
    assert chosen(page) == []
    page.reload()
    assert chosen(page) == []
    assert item in hung(page)


def test_by_keyboard_alone(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#hung .liking')"):
            break
    item = page.evaluate("document.activeElement.value")
    page.keyboard.press("Space")
    page.wait_for_selector(f"#chosen [data-item='{item}']")
    settle(page)
    assert page.evaluate("document.activeElement.matches('#hung .liking')"), "focus was lost"
    page.wait_for_selector("#reason:not([hidden])")  # the reasons come with the focus, too
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "ask-why"
    page.keyboard.press("Enter")
    assert page.locator("#reason.pinned").count() == 1
    assert page.evaluate("document.activeElement.id") == "reason"
    page.keyboard.press("Escape")
    assert page.locator("#reason").is_hidden()
    assert page.evaluate("document.activeElement.className") == "ask-why"


def test_tap_on_a_telephone(visit):
    page = visit(width=360, height=740, touch=True)
    page.locator("#hung .liking").first.tap()
    page.wait_for_selector("#chosen .piece")
    settle(page)
    page.locator("#hung .ask-why").nth(1).tap()
    assert page.locator("#reason.pinned").is_visible()
    unwanted = hung(page)[1]
    page.get_by_role("button", name="Not for me").tap()
    sync.expect(page.locator(f"#hung [data-item='{unwanted}']")).to_have_count(0)


@pytest.mark.parametrize(("width", "touch"), [(1440, False), (360, True)])
def test_a_like_leaves_the_visitor_where_they_are(visit, width, touch):
    page = visit(width=width, touch=touch)
    page.evaluate("scrollTo(0, 700)")
    for _ in range(3):
        before = page.evaluate("scrollY")
        chosen_before = len(chosen(page))
        at = page.evaluate(
            "[...document.querySelectorAll('#hung .liking')].map((one) => one.getBoundingClientRect())"
            ".filter(({ top }) => top > 150).map(({ left, top }) => [left + 30, top + 30])[0]"
        )
        (page.touchscreen.tap if touch else page.mouse.click)(*at)
        sync.expect(page.locator("#chosen .piece")).to_have_count(chosen_before + 1)
        settle(page)
        assert page.evaluate("scrollY") == before


def focused(page):
    """The id, or the item, of what has the focus."""
    return page.evaluate(
        "((here) => here.id || (here.closest('.piece') || here).dataset.item)(document.activeElement)"
    )


def test_what_is_hidden_can_be_shown_again(visit, gallery):
    page = visit()
    unwanted, following = hung(page)[1:3]
    page.locator("#hung .ask-why").nth(1).focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Not for me").focus()
    page.keyboard.press("Enter")
    sync.expect(page.locator(f"#hung [data-item='{unwanted}']")).to_have_count(0)
    settle(page)
    assert focused(page) in hung(page)
    title = gallery.work(unwanted).title
    sync.expect(page.get_by_role("alert")).to_contain_text(title)
    assert page.locator(".refused a").all_inner_texts() == [title]
    page.get_by_role("button", name="Show it again").click()
    sync.expect(page.locator(f"#hung [data-item='{unwanted}']")).to_have_count(1)
    assert page.locator(".refused").count() == 0
    assert following in hung(page)
    assert page.url.endswith("/")


def test_what_one_thinks_of_a_work_is_said_and_keeps_the_focus(visit):
    page = visit("/work?id=w01")
    for name, said in (
        ("I like it", "is on your wall"),
        ("On your wall", "is not on"),
        ("Not for me", "is hidden"),
    ):
        button = page.get_by_role("button", name=name)
        button.focus()
        held = focused(page)
        page.keyboard.press("Enter")
        sync.expect(page.locator("#said")).to_contain_text(said)
        settle(page)
        assert focused(page) == held != ""


def test_escape_leaves_the_filters_for_what_opened_them(visit):
    page = visit()
    page.locator("details.filters summary").click()
    page.get_by_label("Price to").focus()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('details.filters:not([open]) summary')")


def test_the_strip_hides_nothing_that_has_the_focus(visit):
    page = visit(reduced_motion="reduce")
    like(page, 0)
    page.locator("#hung .liking").nth(20).focus()
    for _ in range(24):
        page.keyboard.press("Shift+Tab")
        top = "document.activeElement.getBoundingClientRect().top"
        strip = "document.querySelector('#chosen').getBoundingClientRect().bottom"
        inside = "document.activeElement.closest('#hung') !== null"
        assert page.evaluate(f"!({inside}) || {top} >= {strip}")


def test_on_a_telephone_the_reason_does_not_cover_its_work(visit):
    page = visit(width=360, height=740, touch=True)
    like(page, 0)
    settle(page)
    # The work whose caption is nearest to the lower end of the screen.
    place = page.evaluate(
        "[...document.querySelectorAll('#hung .piece')]"
        ".findLastIndex((one) => one.getBoundingClientRect().bottom < innerHeight)"
    )
    page.locator("#hung .ask-why").nth(place).tap()
    sync.expect(page.locator("#reason.pinned")).to_be_visible()
    lowest = page.locator("#hung .piece").nth(place).evaluate("one => one.getBoundingClientRect().bottom")
    assert lowest <= page.locator("#reason").evaluate("one => one.getBoundingClientRect().top")
    assert page.locator("#threads path").count() == 1


def test_filters_keep_their_word(visit, gallery):
    page = visit()
    page.locator("details.filters summary").click()
    page.get_by_label("Price to").fill("2000")
    page.get_by_label("Price to").press("Enter")
    page.wait_for_url("**/?to.price=2000")
    settle(page)
    works = gallery.works(hung(page))
    assert works
    assert all(work.columns["price"] <= 2000 for work in works)
    assert page.locator("#filtered").inner_text().strip() == "1"
    page.get_by_label("Price to").fill("1")
    page.get_by_label("Price to").press("Enter")
    page.wait_for_selector(".bare")


def test_a_photograph_hangs_what_goes_with_it(visit, tmp_path, gallery):
    page = visit()
    before = hung(page)
    target = next(work for work in gallery.works(before) if work.picture)
    picture = Image.open(target.picture).convert("RGB")
    large = io.BytesIO()
    picture.resize((picture.width * 8, picture.height * 8)).save(large, "JPEG")
    page.set_input_files(
        "#photograph", {"name": "sofa.jpg", "mimeType": "image/jpeg", "buffer": large.getvalue()}
    )
    page.wait_for_selector("#chosen [data-item='image:0']")
    settle(page)
    assert hung(page)[0] == target.item_id
    assert page.evaluate("document.querySelector('#photograph').files[0].size") < len(large.getvalue())
    page.locator("#hung .piece[data-because]").first.hover()
    page.wait_for_selector("#chosen [data-item='image:0'].speaks")
    item = like(page, 3)  # a click does not lose the photograph
    settle(page)
    assert chosen(page) == ["image:0", item]
    page.locator("[data-drop-photograph]").click()
    sync.expect(page.locator("#chosen .piece")).to_have_count(1)
    assert chosen(page) == [item]


def test_a_file_that_is_no_picture_says_so(visit):
    page = visit()
    before = hung(page)
    page.set_input_files("#photograph", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"})
    page.wait_for_selector("#notice p")
    assert hung(page) == before


def test_more_works(visit):
    page = visit("/?sold=1")
    page.get_by_role("button", name="More works").click()
    sync.expect(page.locator("#hung .piece")).to_have_count(60)
    settle(page)
    works = hung(page)
    assert len(works) == len(set(works)) == 60


def test_more_works_by_keyboard_go_on_behind_those_that_hung(visit):
    page = visit("/?sold=1")
    page.get_by_role("button", name="More works").focus()
    page.keyboard.press("Enter")
    sync.expect(page.locator("#hung .piece")).to_have_count(60)
    settle(page)
    assert focused(page) == hung(page)[30]
    assert page.url.endswith("show=60")
    like(page, 0)  # and the wall stays as long
    settle(page)
    assert len(hung(page)) == 60
    assert page.url.endswith("show=60")


def test_like_from_a_work_s_own_page(visit, gallery):
    page = visit("/work?id=w01")
    page.get_by_role("button", name="I like it").click()
    page.get_by_role("button", name="On your wall").wait_for()
    page.get_by_role("link", name="Wall", exact=True).click()
    assert chosen(page) == ["w01"]


def test_back_to_the_wall_knows_what_was_liked_meanwhile(visit):
    page = visit()
    page.locator("#hung a.title").first.click()
    page.get_by_role("button", name="I like it").click()
    page.get_by_role("button", name="On your wall").wait_for()
    page.go_back()
    sync.expect(page.locator("#chosen .piece")).to_have_count(1)


def test_the_map_opens_a_work(visit):
    page = visit("/owner")
    page.locator(".map").focus()
    sync.expect(page.locator(".map-said")).not_to_be_empty()
    for key in ("+", "+", "ArrowRight", "-", "0"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/work?id=*")


def test_quick_clicks_lose_nothing(visit):
    page = visit()
    wanted = hung(page)[:4]
    page.evaluate(
        "all => all.forEach((id) => document.querySelector(`#hung [data-item='${id}'] .liking`).click())",
        wanted,
    )
    sync.expect(page.locator("#chosen .piece")).to_have_count(4)
    page.reload()
    assert set(chosen(page)) == set(wanted)


GIVE = """([name, kind, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type: kind }));
  window.carried = carried;
}"""


def give(page, content, name="sofa.jpg", kind="image/jpeg"):
    """Let the visitor hold a file, as a drag or the clipboard would."""
    page.evaluate(GIVE, [name, kind, base64.b64encode(content).decode()])


def drag(page, step):
    page.evaluate(
        "(step) => document.body.dispatchEvent("
        "new DragEvent(step, { dataTransfer: window.carried, bubbles: true, cancelable: true }))",
        step,
    )


def paste(page):
    page.evaluate(
        "() => document.body.dispatchEvent("
        "new ClipboardEvent('paste', { clipboardData: window.carried, bubbles: true, cancelable: true }))"
    )


@pytest.fixture
def photograph(gallery):
    """A visitor's own picture: a copy of a work of the first wall."""
    buffer = io.BytesIO()
    Image.open(gallery.work("w05").picture).convert("RGB").resize((640, 640)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_photograph_is_dropped(visit, photograph):
    page = visit()
    give(page, photograph)
    drag(page, "dragenter")
    assert page.locator("#drop").is_visible()
    drag(page, "dragleave")
    assert page.locator("#drop").is_hidden()
    drag(page, "dragenter")
    drag(page, "dragover")
    drag(page, "drop")
    page.wait_for_selector("#chosen [data-item='image:0']")
    assert page.locator("#drop").is_hidden()
    assert len(hung(page)) == 30


def test_a_photograph_is_pasted(visit, photograph):
    page = visit()
    give(page, photograph)
    paste(page)
    page.wait_for_selector("#chosen [data-item='image:0']")
    settle(page)
    page.reload()  # it was kept nowhere
    assert chosen(page) == []


def test_what_is_dropped_and_no_picture_says_so(visit):
    page = visit()
    before = hung(page)
    give(page, b"text", "a.txt", "text/plain")
    drag(page, "dragenter")
    drag(page, "drop")
    page.wait_for_selector("#notice p")
    assert page.locator("#drop").is_hidden()
    assert hung(page) == before


def pixels(page):
    """The map as it is drawn now."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate("document.querySelector('.map canvas').toDataURL()")


def open_map(visit):
    page = visit("/owner")
    page.locator(".map").scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    return page


def test_the_map_is_zoomed_by_the_wheel_and_the_page_stays(visit):
    page = open_map(visit)
    box = page.locator(".map").bounding_box()
    scrolled = page.evaluate("scrollY")
    whole = pixels(page)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
    page.mouse.wheel(0, -300)
    near = pixels(page)
    page.mouse.wheel(0, 300)
    far = pixels(page)
    assert near not in (whole, far)
    assert page.evaluate("scrollY") == scrolled


def test_the_map_is_zoomed_and_moved_by_keys_and_buttons(visit):
    page = open_map(visit)
    page.locator(".map").focus()
    whole = pixels(page)
    page.keyboard.press("+")
    zoomed = pixels(page)
    page.keyboard.press("ArrowRight")
    moved = pixels(page)
    page.keyboard.press("0")
    back = pixels(page)
    assert len({whole, zoomed, moved}) == 3
    assert back == whole
    page.get_by_role("button", name="Zoom in").click()
    assert pixels(page) != whole
    page.get_by_role("button", name="The whole map").click()
    page.locator(".map").focus()
    assert pixels(page) == whole
